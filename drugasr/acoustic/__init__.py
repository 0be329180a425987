"""HuBERT and its CTC relatives: build, load, save, freeze, run."""
