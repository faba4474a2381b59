"""The certificates that are trusted: the system's, and those that the environment names."""

import functools
import os
import ssl
import sys
from importlib.util import find_spec

from voicecli.errors import ConfigurationError

__all__ = ["roots_missing", "tls_context"]

# Variables that name more certificates to trust. OpenSSL itself reads SSL_CERT_FILE and SSL_CERT_DIR.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_OPENSSL_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def tls_context() -> ssl.SSLContext:
    """The context for a connection. Raises ConfigurationError: a variable names certificates that cannot be read."""
    return _context(sys.platform, *(os.environ.get(name) for name in (*_CA_VARIABLES, *_OPENSSL_VARIABLES)))


def roots_missing() -> bool:
    """Whether this Python knows no root certificates: the one from python.org on a Mac, until they are installed."""
    return not _asks_the_system(sys.platform) and not ssl.create_default_context().cert_store_stats()["x509_ca"]


def _asks_the_system(platform: str) -> bool:
    # There OpenSSL's own certificates are none, or not all: Windows fetches roots when they are first needed, and only
    # the system knows which ones a company has its computers trust.
    return platform in ("darwin", "win32") and find_spec("truststore") is not None


@functools.lru_cache(maxsize=4)
def _context(
    platform: str, requests_ca: str | None, curl_ca: str | None, cert_file: str | None, cert_dir: str | None
) -> ssl.SSLContext:
    # Loading the system's certificates takes 20 ms and half a megabyte: once for all connections.
    bundles = [*zip(_CA_VARIABLES, (requests_ca, curl_ca), strict=True)]
    context: ssl.SSLContext
    if _asks_the_system(platform):
        import truststore

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        bundles += zip(_OPENSSL_VARIABLES, (cert_file, cert_dir), strict=True)
    else:
        context = ssl.create_default_context()
    for name, bundle in bundles:
        if bundle:
            try:
                is_folder = os.path.isdir(bundle)
                context.load_verify_locations(**{"capath" if is_folder else "cafile": bundle})
            except OSError as error:
                raise ConfigurationError(
                    f"{name}: cannot read certificates from {bundle!r} ({error.strerror or error}).",
                    advice="Point it at a PEM file, or unset it.",
                ) from None
    return context
