"""The polite HTTP client.

One ``Fetcher`` for the daemon; ``Fetcher.for_source`` gives each poll its ``protocols.Fetch``. Requests go straight to
the hosts: proxies, netrc and other settings of the environment are not used (``SSL_CERT_FILE`` is), and cookies are not
kept.
"""

from listener.fetch.backoff import Pause, pause_after
from listener.fetch.client import Fetcher, SourceFetch
from listener.fetch.policy import FetchPolicy

__all__ = ["FetchPolicy", "Fetcher", "Pause", "SourceFetch", "pause_after"]
