"""The bytes of a file: every element's encoding and decoding, side by side.

Nothing here knows a path, a file or a user's value. `grammar` builds every layout from the schema;
`block`, `index`, `batch`, `column` and `journal` are the elements, `stages` the codec of a column,
`planner` the rule of choice, `encoder` puts records together into a whole file.
"""
