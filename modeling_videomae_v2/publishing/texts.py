# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What stands in every model card: the template, its texts by kind of model, licences."""

from string import Template


# Licences by the identifier that the Hub knows them by: name, address of the text.
LICENCES: dict[str, tuple[str, str]] = {
    "apache-2.0": ("Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
    "bsd-3-clause": ("BSD 3-Clause License", "https://opensource.org/license/bsd-3-clause"),
    "cc-by-4.0": ("Creative Commons Attribution 4.0", "https://creativecommons.org/licenses/by/4.0/legalcode"),
    "cc-by-nc-4.0": (
        "Creative Commons Attribution-NonCommercial 4.0",
        "https://creativecommons.org/licenses/by-nc/4.0/legalcode",
    ),
    "cc-by-nc-nd-4.0": (
        "Creative Commons Attribution-NonCommercial-NoDerivatives 4.0",
        "https://creativecommons.org/licenses/by-nc-nd/4.0/legalcode",
    ),
    "cc-by-nc-sa-4.0": (
        "Creative Commons Attribution-NonCommercial-ShareAlike 4.0",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/legalcode",
    ),
    "cc-by-sa-4.0": (
        "Creative Commons Attribution-ShareAlike 4.0",
        "https://creativecommons.org/licenses/by-sa/4.0/legalcode",
    ),
    "cc0-1.0": ("CC0 1.0 Universal", "https://creativecommons.org/publicdomain/zero/1.0/legalcode"),
    "gpl-3.0": ("GNU General Public License 3.0", "https://www.gnu.org/licenses/gpl-3.0.html"),
    "mit": ("MIT License", "https://opensource.org/license/mit"),
}
DEFAULT_LICENCE = "cc-by-nc-4.0"  # that of the authors' weights, which whatever is trained from them keeps

SIZE_NAMES = {"small": "ViT-S", "base": "ViT-B", "large": "ViT-L", "huge": "ViT-H", "giant": "ViT-g"}
KINDS = {  # by the class in `architectures`: what the model is, the Hub's pipeline tag
    "VideoMAEv2ForVideoClassification": ("video classifier", "video-classification"),
    "VideoMAEv2ForPreTraining": ("masked autoencoder", "feature-extraction"),
    "VideoMAEv2Model": ("video encoder", "feature-extraction"),
}

TEMPLATE = Template("""\
---
$metadata
---

# $title

$summary

| | |
|---|---|
$figures

## Use

$usage

## Results

$results

## Training data

$data

## Training

$training

## Intended use

$intended_use

## Limits and biases

$limits

## Licence

$licence

## Citation

```bibtex
@inproceedings{wang2023videomaev2,
  title={VideoMAE V2: Scaling Video Masked Autoencoders with Dual Masking},
  author={Wang, Limin and Huang, Bingkun and Zhao, Zhiyu and Tong, Zhan and He, Yinan and Wang, Yi and Wang, Yali and
    Qiao, Yu},
  booktitle={CVPR},
  year={2023}
}
```
""")

USAGE_CLASSIFICATION = Template("""\
```python
from transformers import pipeline

classify = pipeline("video-classification", model="$name", trust_remote_code=True)
classify("film.mp4")  # the five best classes: [{"score": ..., "label": ...}, ...]
```

`trust_remote_code=True` runs the code of this repository. It is not needed where the package `modeling_videomae_v2` is
installed and imported. By hand, and with every setting of the video processor:

```python
import torch
from transformers import AutoModelForVideoClassification, AutoVideoProcessor

name = "$name"
processor = AutoVideoProcessor.from_pretrained(name, trust_remote_code=True)
model = AutoModelForVideoClassification.from_pretrained(name, trust_remote_code=True).eval()
with torch.no_grad():
    logits = model(**processor("film.mp4", return_tensors="pt")).logits
model.config.id2label[logits.argmax(-1).item()]
```""")

USAGE_ENCODER = Template("""\
```python
import torch
from transformers import AutoModel, AutoVideoProcessor

name = "$name"
processor = AutoVideoProcessor.from_pretrained(name, trust_remote_code=True)
model = AutoModel.from_pretrained(name, trust_remote_code=True).eval()
with torch.no_grad():
    outputs = model(**processor("film.mp4", return_tensors="pt"))
outputs.pooler_output  # one vector per clip
outputs.last_hidden_state  # one per cube
```

`trust_remote_code=True` runs the code of this repository. It is not needed where the package `modeling_videomae_v2` is
installed and imported.""")

USAGE_PRETRAINING = Template("""\
```python
from transformers import AutoModelForPreTraining, AutoModelForVideoClassification, AutoVideoProcessor

name = "$name"
processor = AutoVideoProcessor.from_pretrained(name, trust_remote_code=True)
model = AutoModelForPreTraining.from_pretrained(name, trust_remote_code=True)
model(**processor("film.mp4", return_tensors="pt")).loss  # masks are drawn as the configuration says

# a classifier to be fine-tuned: its head and the norm before it are new, the decoder is left behind
model = AutoModelForVideoClassification.from_pretrained(name, num_labels=10, trust_remote_code=True)
```

`trust_remote_code=True` runs the code of this repository. It is not needed where the package `modeling_videomae_v2` is
installed and imported.""")

USAGES = {
    "VideoMAEv2ForVideoClassification": USAGE_CLASSIFICATION,
    "VideoMAEv2ForPreTraining": USAGE_PRETRAINING,
    "VideoMAEv2Model": USAGE_ENCODER,
}

INTENDED_USE = {
    "VideoMAEv2ForVideoClassification": """\
To classify short, trimmed clips into the classes that it was trained on, and to serve as a start for fine-tuning on
others. Its features (`AutoModel`) suit retrieval and detection.""",
    "VideoMAEv2ForPreTraining": """\
As a start for fine-tuning on labelled videos, and to go on with pre-training. It has no classes, and its features are
meant to be fine-tuned.""",
    "VideoMAEv2Model": "Features of short clips, for retrieval, detection or a head of one's own.",
}
NOT_INTENDED = (
    "It is not meant to identify or watch people, to judge them, or to decide anything about them without a human who "
    "looks at the video."
)

COMMON_LIMITS = (
    "One clip is $num_frames frames. A longer video is sampled or cut into windows; what happens between the frames is "
    "not seen.",
    "Frames are cropped to a square: what lies at the edges of the picture may be lost.",
    "Videos of the web show people, places and activities in the shares in which they are uploaded, and as those who "
    "uploaded them see them. How accuracy differs between groups of people or regions was not measured.",
)
CLASSIFIER_LIMITS = (
    "It always names one of its classes, also where nothing of the kind is to be seen. Its scores are not calibrated.",
)

__all__ = [
    "CLASSIFIER_LIMITS",
    "COMMON_LIMITS",
    "DEFAULT_LICENCE",
    "INTENDED_USE",
    "KINDS",
    "LICENCES",
    "NOT_INTENDED",
    "SIZE_NAMES",
    "TEMPLATE",
    "USAGES",
]
