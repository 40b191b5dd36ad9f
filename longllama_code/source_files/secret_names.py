"""Names of files that hold secrets, and so never reach the model.

The list is that of Continue and Zed, without names that are often ordinary code
(`config.json`, `settings.json`, databases, backups). No setting changes it.
"""

from functools import lru_cache

from longllama_code.source_files.patterns import FilePatterns

_DATA = ("json", "yaml", "yml", "toml", "ini", "cfg", "conf", "properties", "xml", "csv", "txt")

SECRET_PATTERNS: tuple[str, ...] = (
    # Names that are also good names for a folder of code: the file is meant, not the folder.
    *("credentials", "!credentials/"),
    # Passwords and tokens as data. `secrets.py` and `credentials.ts` are code.
    *(f"{stem}.{kind}" for stem in ("secret", "secrets.*", "*secrets") for kind in _DATA),
    *(f"{stem}.{kind}" for stem in ("credentials.*", "*credentials") for kind in _DATA),
    *("client_secret*.json", "*service[-_]account*.json", "*-adminsdk-*.json"),
    *("*.secret", "*.secrets", "*.token", ".vault-token", ".vault[-_]pass*"),
    # Environments.
    *(".env*", "*.env", ".dev.vars*", "local.settings.json"),
    *("!.env*.example", "!.env*.sample", "!.env*.template", "!.env*.dist", "!.env*.schema"),
    *("!example.env", "!sample.env", "!template.env"),
    # Keys, certificates and their stores.
    *("*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.crt", "*.cer", "*.cert", "*.der"),
    *("*.jks", "*.bks", "*.keystore", "*.truststore", "*.kdb", "*.kdbx"),
    *("*.ppk", "*.gpg", "*.pgp", "*.ovpn", "*.mobileprovision"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    # What tools keep in home folders, and people in repositories.
    *(".ssh/", ".gnupg/", ".password-store/", ".aws/", ".azure/", ".oci/", ".kube/"),
    *("**/.config/gcloud/", "**/.docker/config.json", ".dockercfg", "*.kubeconfig"),
    *(".netrc", "_netrc", ".npmrc", ".yarnrc.yml", ".pypirc", ".git-credentials", ".htpasswd"),
    *(".pgpass", ".my.cnf", ".s3cfg", ".boto", ".rhosts", ".renviron"),
    *("**/.composer/auth.json", "**/.cargo/credentials*", "**/.gem/credentials", ".terraformrc"),
    *("*.tfvars", "*.tfvars.json", "*.tfstate", "*.tfstate.*"),
    # The public half of a key pair is public.
    "!*.pub",
)
"""Globs in gitignore syntax, in lower case; a later one wins."""

_PATTERNS = FilePatterns(SECRET_PATTERNS)
_FOLDERS = FilePatterns(
    [pattern for pattern in SECRET_PATTERNS if pattern.endswith("/") and pattern[0] != "!"]
)


def is_secret(relative_path: str) -> bool:
    """Whether a file is taken to hold secrets.

    Args:
        relative_path: its path below the workspace folder, with forward slashes. Letter case
            does not matter: `ID_RSA` opens the same doors as `id_rsa`.
    """
    return _PATTERNS.names(relative_path.lower())


def is_secret_in(folder: str, relative_path: str) -> bool:
    """Whether a file of a workspace folder is taken to hold secrets.

    The folder may be `.aws` itself, or lie in it. A name like `work.env` above it is no reason.

    Args:
        folder: the absolute path of the folder, with forward slashes; empty for a file outside.
        relative_path: the file's path below the folder.
    """
    name = folder.rpartition("/")[2]
    own = f"{name}/{relative_path}" if name else relative_path.lstrip("/")
    return is_secret(own) or _is_in_secret_folder(folder)


@lru_cache(maxsize=64)
def _is_in_secret_folder(folder: str) -> bool:
    return bool(folder) and _FOLDERS.names(f"{folder}/any".lstrip("/").lower())
