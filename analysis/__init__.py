"""What the data mean: algorithms (`analysis.ghost`, `analysis.metrics`) and the document side (`analysis.documents`).

Importing this package opens nothing and does not import torch.
"""
