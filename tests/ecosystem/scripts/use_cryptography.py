"""cryptography: symmetric, asymmetric, a certificate, and the library's ssl with it."""

import datetime
import hashlib
import socket
import ssl
import threading

import cryptography
import show
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.backends.openssl.backend import backend
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

print(cryptography.__version__, backend.openssl_version_text())
box = Fernet(b"0" * 43 + b"=")
print(box.decrypt(box.encrypt(b"text")))
with show.error():
    box.decrypt(b"nothing")
print(AESGCM(b"k" * 32).encrypt(b"n" * 12, b"data", b"more").hex()[:30])
print(Scrypt(salt=b"s", length=16, n=2**10, r=8, p=1).derive(b"password").hex()[:20])
signer = ed25519.Ed25519PrivateKey.from_private_bytes(b"1" * 32)
print(signer.sign(b"text").hex()[:30])
with show.error():
    signer.public_key().verify(b"x" * 64, b"text")
with show.error():
    rsa.generate_private_key(3, 10)
print(hashlib.sha256(b"x").hexdigest()[:16], padding.PKCS1v15().name)
with show.error():
    serialization.load_pem_private_key(b"no key", None)
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
start = datetime.datetime(2020, 1, 1)
builder = x509.CertificateBuilder(name, name, key.public_key(), 5, start, datetime.datetime(2090, 1, 1))
builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
certificate = builder.sign(key, hashes.SHA256())
pem = certificate.public_bytes(serialization.Encoding.PEM)
open("cert.pem", "wb").write(pem)
no_password = serialization.NoEncryption()
form = serialization.PrivateFormat.PKCS8
open("key.pem", "wb").write(key.private_bytes(serialization.Encoding.PEM, form, no_password))
print(certificate.subject, certificate.extensions)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem", "key.pem")
listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()


def serve():
    with context.wrap_socket(listener, server_side=True) as tls:
        connection, _ = tls.accept()
        with connection:
            connection.sendall(b"secret")


thread = threading.Thread(target=serve, daemon=True)
thread.start()
with socket.create_connection(address) as plain:
    client = ssl.create_default_context(cafile="cert.pem")
    if hasattr(ssl, "VERIFY_X509_STRICT"):
        client.verify_flags &= ~ssl.VERIFY_X509_STRICT
    with client.wrap_socket(plain, server_hostname="localhost") as tls:
        print(tls.recv(100), tls.version(), tls.getpeercert()["subject"])
thread.join()
show.modules()
