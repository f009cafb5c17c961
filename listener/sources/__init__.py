"""The places that we poll: one file per type, none of which does I/O over the network of its own.

``base`` is what a plug-in derives from, ``registry`` finds plug-ins by name, ``reading`` holds what several of them
read with, ``offline`` reads saved bytes through a plug-in. Every other module is a source type and bears its name.
"""
