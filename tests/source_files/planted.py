"""Secrets to plant: 200 files of many kinds, by name and by content, each with a mark to look for.

They are made here, from a seed; none opens anything. Values are put together at run time, so that
scanners of this repository stay quiet.
"""

import base64
import json
import random
import string
from collections.abc import Iterator

N_FILES = 200
_random = random.Random(20260101)


def text_of(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(_random.choices(alphabet, k=length))


def jwt() -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {"sub": text_of(12), "admin": True}
    return ".".join([part({"alg": "HS256", "typ": "JWT"}), part(claims), text_of(43)])


def contents() -> dict[str, str]:
    """A line of code for each kind of secret that the text itself gives away."""
    upper = string.ascii_uppercase + string.digits
    hexadecimal = "0123456789abcdef"
    return {
        "aws key": f'aws_id = "AKIA{text_of(16, upper)}"',
        "github token": f'gh = "ghp_{text_of(36)}"',
        "gitlab token": f'gl = "glpat-{text_of(20)}"',
        "slack token": f'sl = "xoxb-{text_of(12, string.digits)}-{text_of(12, string.digits)}-'
        f'{text_of(24)}"',
        "stripe key": f'st = "sk_live_{text_of(24)}"',
        "sendgrid key": f'sg = "SG.{text_of(22)}.{text_of(43)}"',
        "npm token": f"//packages.example/:_auth{'Token'}=npm_{text_of(36)}",
        "twilio key": f'tw = "SK{text_of(32, hexadecimal)}"',
        "mailchimp key": f'mc = "{text_of(32, hexadecimal)}-us12"',
        "square secret": f'sq = "sq0csp-{text_of(43)}"',
        "json web token": f'auth = "{jwt()}"',
        "private key": f"-----BEGIN RSA {'PRIVATE'} KEY-----\n{text_of(64)}",
        "openssh key": f"-----BEGIN OPENSSH {'PRIVATE'} KEY-----\n{text_of(64)}",
        "basic auth": f'db = "postgres://admin:{text_of(14)}@db.internal/app"',
        "password": f'password = "{text_of(16)}7x"',
        "api key": f'api_key = "{text_of(30)}4k"',
        "client secret": f'client_secret = "{text_of(30)}9q"',
    }


BY_CONTENT = contents()

_NAMES = """
    .env .env.local .env.production config/.env.staging prod.env .envrc .dev.vars
    server.pem tls/server.key tls/server.crt ca.cer AuthKey.p8 id.p12 id.pfx app.jks debug.keystore
    vault.kdbx putty.ppk backup.gpg home.ovpn id_rsa deploy/id_ed25519 id_ecdsa id_dsa
    .aws/config .aws/credentials .ssh/config .kube/config .docker/config.json .dockercfg
    .netrc _netrc .npmrc .pypirc .git-credentials .htpasswd .pgpass .my.cnf
    secrets.yml config/secrets.yaml secrets.json secrets.toml secret.yaml secrets.prod.yaml
    client_secrets.json my-service-account.json k8s-secrets.yml credentials credentials.json
    credentials.prod.yml aws_credentials.json api.token master.key prod.secret terraform.tfvars
    prod.auto.tfvars terraform.tfstate .terraformrc .cargo/credentials.toml .composer/auth.json
"""
BY_NAME = _NAMES.split()


def files() -> Iterator[tuple[str, str, str]]:
    """Path, text and mark of each file; the mark is the secret's own text."""
    for name in BY_NAME:
        mark = text_of(24)
        yield f"named/{name}", f"VALUE={mark}\n", mark
    suffixes = [".py", ".js", ".ts", ".go", ".java", ".rb", ".yaml", ".toml", ".json", ".md"]
    for number in range(N_FILES - len(BY_NAME)):
        kinds = contents()
        kind = list(kinds)[number % len(kinds)]
        code = kinds[kind]
        suffix = suffixes[number % len(suffixes)]
        lines = [f"# part {part} of file {number}" for part in range(number % 40)]
        text = "\n".join([*lines[: len(lines) // 2], code, *lines[len(lines) // 2 :]]) + "\n"
        yield f"inside/{number:03}{suffix}", text, _mark(code)


def _mark(code: str) -> str:
    """The longest run of letters and digits: what must not turn up anywhere."""
    runs = "".join(char if char.isalnum() else " " for char in code).split()
    return max(runs, key=len)
