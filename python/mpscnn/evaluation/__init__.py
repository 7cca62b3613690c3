"""How well a model does on data whose answers are known."""
