"""From a named source to arrays that every run shares: sources -> prepare -> prepared -> feed."""
