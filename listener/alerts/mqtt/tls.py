"""TLS towards a broker."""

import ssl

from listener.config.mqtt import TlsOptions


class _TlsSocket(ssl.SSLSocket):
    """Closes when the handshake fails; paho forgets the socket then."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def tls_context_of(tls: TlsOptions) -> ssl.SSLContext:
    """Read the certificates; blocks on the disk. Raises OSError when a file cannot be read."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.sslsocket_class = _TlsSocket
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context
