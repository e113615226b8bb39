"""What takes the steps of a training: `fit`, a loop over resident samples, XLA, replicas."""
