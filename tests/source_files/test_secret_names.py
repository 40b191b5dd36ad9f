"""Names that give a secret away, and ordinary code that only looks like one."""

import pytest

from longllama_code.source_files.secret_names import is_secret

SECRETS = """
    .env .env.local .env.production app/.env prod.env .envrc .envs/.local/.postgres .ENV
    .dev.vars .dev.vars.staging local.settings.json
    server.pem tls/server.key tls/server.crt ca.cer ca.cert ca.der AuthKey.p8 id.p12 id.pfx
    app.jks debug.keystore cacerts.truststore vault.kdbx putty.ppk backup.gpg home.ovpn
    id_rsa ID_RSA id_rsa.bak deploy/id_ed25519 id_ecdsa_work id_dsa
    .aws/config home/.aws/credentials .ssh/config .ssh/known_hosts .gnupg/pubring.kbx .kube/config
    .docker/config.json .dockercfg prod.kubeconfig .config/gcloud/access_tokens.db
    .netrc _netrc .npmrc .pypirc .git-credentials .htpasswd .pgpass .my.cnf
    secrets.yml config/secrets.yaml secrets.json secrets.toml secret.yaml secrets.prod.yaml
    client_secrets.json client_secret_123.apps.json my-service-account.json k8s-secrets.yml
    credentials credentials.json credentials.prod.yml aws_credentials.json gcp-credentials.json
    api.token master.key prod.secret terraform.tfvars prod.auto.tfvars terraform.tfstate
    terraform.tfstate.backup .terraformrc .cargo/credentials.toml .composer/auth.json
    home/.docker/config.json home/.composer/auth.json a/b/.cargo/credentials.toml
    home/.config/gcloud/access_tokens.db home/.gem/credentials
"""

ORDINARY = """
    .env.example .env.sample .env.template .env.local.example .env.dist example.env
    id_rsa.pub .ssh/id_ed25519.pub
    secrets.py lib/secrets.ts secret.go test_secrets.py secrets_manager.rb secrets/vault.py
    credentials.py credentials/provider.py test_credentials.py credentials.d.ts CredentialsForm.tsx
    keyboard.key.ts keys.py key.c pem.go environment.ts vite-env.d.ts env.py env/settings.py
    token.py tokens.json tokenizer.json locales/en/auth.json config.json settings.json
    .vscode/settings.json .docker/Dockerfile docker-compose.yml main.tf terraform.tfvars.example
    aws/client.py ssh/agent.go README.md
"""


@pytest.mark.parametrize("path", SECRETS.split())
def test_secret(path: str) -> None:
    assert is_secret(path)


@pytest.mark.parametrize("path", ORDINARY.split())
def test_ordinary(path: str) -> None:
    assert not is_secret(path)
