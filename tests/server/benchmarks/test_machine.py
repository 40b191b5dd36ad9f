"""Description of machine and weights."""

from lsp_server.benchmarks.reporting import machine


def test_weights_in_a_file_or_folder_have_a_digest_and_names_none(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "notes.txt").write_bytes(b"anything")
    by_folder = machine.weights_digest(str(tmp_path))
    assert by_folder == machine.weights_digest(str(tmp_path / "model.safetensors"))
    (tmp_path / "model.safetensors").write_bytes(b"other")
    assert by_folder != machine.weights_digest(str(tmp_path))
    assert machine.weights_digest("no-such-model") is None
