"""What a status says in words."""

from dataclasses import asdict, replace

from longllama_code.protocol import EngineStatus
from lsp_server import describe

HELD = EngineStatus("mini", "cuda:0", "bfloat16", 0, 0, 0, 0, 0, 0, 0, 0, 0, None)


def said(engine: EngineStatus) -> str:
    files = {"in_memory": 0, "tokens": 0, "waiting": 0, "left_out": 0}
    rest = {"phase": "ready", "message": "", "last_reason": None}
    return describe.status({**rest, "files": files, "engine": asdict(engine)})


def test_whether_layers_are_compiled_and_why_not() -> None:
    assert "model mini (bfloat16 on cuda:0)." in said(HELD)
    assert "model mini (bfloat16 on cuda:0, compiled)." in said(replace(HELD, compiled=True))
    failed = said(replace(HELD, not_compiled="TritonMissing: no Triton"))
    assert "(bfloat16 on cuda:0); its layers are not compiled: TritonMissing: no Triton." in failed
