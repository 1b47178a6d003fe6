"""TLS by configuration, on a real socket."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr, ValidationError
from starlette.responses import JSONResponse

from lamina.settings import ROOT, Settings
from serving.app import tls_options

PASSWORD = b"only-in-this-test"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its locked key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lamina")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    locked = serialization.BestAvailableEncryption(PASSWORD)
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
    return files


@pytest.mark.parametrize("client_certificates", [False, True])
def test_tls(pair: tuple[Path, Path], client_certificates: bool) -> None:
    settings = Settings(
        tls_certificate=pair[0],
        tls_key=pair[1],
        tls_key_password=SecretStr(PASSWORD.decode()),
        tls_client_ca=pair[0] if client_certificates else None,
    )
    config = uvicorn.Config(JSONResponse({}), port=0, log_config=None, lifespan="off", **tls_options(settings))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        trusting = ssl.create_default_context(cafile=str(pair[0]))
        shown = ssl.create_default_context(cafile=str(pair[0]))
        shown.load_cert_chain(pair[0], pair[1], PASSWORD)
        assert httpx.get(f"https://127.0.0.1:{port}", verify=shown).status_code == 200
        if client_certificates:
            with pytest.raises(httpx.HTTPError):
                httpx.get(f"https://127.0.0.1:{port}", verify=trusting)
        else:
            assert httpx.get(f"https://127.0.0.1:{port}", verify=trusting).status_code == 200
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join()


def test_without_a_certificate_there_is_none() -> None:
    assert tls_options(Settings()) == {}


@pytest.mark.parametrize("fields", [{"tls_certificate": "/c.pem"}, {"tls_key": "/k.pem"}, {"tls_client_ca": "/ca.pem"}])
def test_half_a_configuration_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="LAMINA_TLS_CERTIFICATE"):
        Settings(**fields)  # type: ignore[arg-type]


def test_it_starts_without_what_only_training_needs() -> None:
    """scikit-learn alone took half of the processor time of a start; afterwards it can be had as ever."""
    program = (
        "import sys, serving.app\n"
        "print([name for name in ('sklearn', 'scipy.stats', 'optuna', 'pyspark') if name in sys.modules])\n"
        "import lightgbm, sklearn.linear_model, models.fraud.train\n"
        "print(callable(lightgbm.train))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:2] == ["[]", "True"], done.stdout + done.stderr[-2000:]
