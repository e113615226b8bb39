"""The files that the default config is made of, with their SHA-256: written by pipelines/compose.py."""

FILES = {
    "calibration/none.yaml": "60d0b577b24894067e470b5b15c7da45bfc8fe0440f0df0b3068d6d259ecb28b",
    "config.yaml": "aa366adaedc81dc2e5fe2e92afbe91687b797e7a99a83b063cf8b187ed415392",
    "dataset/mnist_lt.yaml": "378c81cc0ac2d380d47c5507f2bec37acc03c88878b3bef8f68d3a46e78af8d4",
    "decision/argmax.yaml": "2b3088adf13eff9451f2b487ff1186ee935a21c4a4ab9c3650df7dd38b64a066",
    "loss/class_weight.yaml": "1d8722c92b1b7f8a33ad3a62deea5ffbbcf2d950c65bc35a5692d38ee1af6600",
    "model/cnn.yaml": "65feb282e326f92110e78774c782494b320ebd68e11eb801e73985a0f36fe91e",
    "tracking/local.yaml": "1f7240283a3368a4fc8b5636ac9e1ccf738867fdcc7aafdbd9b924130592b534",
    "trainer/default.yaml": "6b0715686070f3ae0d2cc2ddba891d3fffc3a19bfb4a002aa8b75e3057e60064",
    "weighting/none.yaml": "7cfb47f29d58122e4abc8c57887ecca82167b91aaa60a883078167f7f4280006",
}
