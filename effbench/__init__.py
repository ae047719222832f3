"""effbench: which EfficientNetV2 should I fine-tune, and what does it cost me?"""

__version__ = "0.1.0"
