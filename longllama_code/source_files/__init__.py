"""Which files of a workspace are source that a model may see."""
