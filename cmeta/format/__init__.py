"""The bytes of a file: encoding and decoding of each element side by side.

Nothing here knows a path, a file or a user's value. `grammar` builds every layout from the schema,
`checksum` the CRC. The elements are `block`,
`index`, `batch`, `column` and `journal`; `stages` are those of a column, `planner` is the rule of
choice between them, `encoder` turns chunks of records into the bytes of a whole file.
"""
