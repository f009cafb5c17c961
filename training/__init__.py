"""How the model files are made and measured. Never imported by ``listener``."""
