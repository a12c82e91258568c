"""Full-screen programs in the terminal, a widget a file: the only room that imports textual.

They place what presenters lay out, and ask what the plain commands ask; nothing is worked out here.
"""
