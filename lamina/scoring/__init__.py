"""From a registered model's files to scores, whatever the model is made of."""
