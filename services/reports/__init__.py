"""Reports to send: an answer in; Markdown, a page or a PDF out.

Pure: no clock, no network, and the same bytes from the same answer.
"""
