"""How good a model is: figures, slices, the card, and whether it beats the champion."""
