"""The type of a model that can run, with transformers or without; for type checkers alone."""

from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.plain_model import PlainModel

AnyModel = LongLlamaForCausalLM | PlainModel
