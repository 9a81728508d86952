"""Logs of single numbers, as TensorBoard, W&B and the Trainer of transformers keep them.

`points` makes records of numbers with a step and a time, by the words that `naming` knows; the
others read one kind of file each.
"""
