"""What makes a site of docs/: pages out of what the program knows, links, diagrams. Pure.

``hooks`` is what MkDocs calls; the other modules know nothing of it.
"""
