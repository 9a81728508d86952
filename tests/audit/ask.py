"""Helpers to audit a file and to pick from its findings."""

from cmeta.tools.audit.audit import audit


def codes(report, severity=None):
    return [f.code for f in report.findings if severity in (None, f.severity)]


def messages(report, code):
    return [(f.message, f.where) for f in report.findings if f.code == code]


def one(path, *args, **options):
    (report,) = audit(path, *args, **options)
    return report
