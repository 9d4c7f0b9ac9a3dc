# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The video processor as transformers uses it: saved, loaded, in a pipeline, on files."""

import io
import json
import logging
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoVideoProcessor, BatchFeature, pipeline
from transformers.video_utils import VideoMetadata

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForVideoClassification
from modeling_videomae_v2.video_processing_videomae_v2 import VideoMAEv2VideoProcessor


SMALL = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "num_frames": 4}


@pytest.fixture
def small():
    return VideoMAEv2VideoProcessor(**SMALL)


@pytest.fixture(scope="module")
def video_file(tmp_path_factory):
    pytest.importorskip("av")
    from video_files import encode

    return encode(tmp_path_factory.mktemp("video") / "a.mp4", num_frames=100)


def random_videos(count, frames=8, channels=3):
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (frames, 30 + 5 * i, 40, channels), dtype=np.uint8) for i in range(count)]


def test_defaults():
    processor = VideoMAEv2VideoProcessor()
    assert dict(processor.size) == {"shortest_edge": 224}
    assert dict(processor.crop_size) == {"height": 224, "width": 224}
    assert list(processor.image_mean) == pytest.approx([0.485, 0.456, 0.406])
    assert list(processor.image_std) == pytest.approx([0.229, 0.224, 0.225])
    names = ("sampling", "sampling_rate", "num_frames", "num_clips", "num_crops", "do_sample_frames")
    assert [getattr(processor, name) for name in names] == ["dense", 4, 16, 1, 1, True]
    assert processor.model_input_names == ["pixel_values"]


def test_save_and_load(tmp_path):
    processor = VideoMAEv2VideoProcessor(
        **SMALL, sampling="uniform", num_clips=2, num_crops=3, image_mean=[0.1, 0.2, 0.3]
    )
    processor.save_pretrained(tmp_path)
    for loaded in (
        VideoMAEv2VideoProcessor.from_pretrained(tmp_path),
        VideoMAEv2VideoProcessor.from_dict(processor.to_dict()),
        VideoMAEv2VideoProcessor.from_json_file(tmp_path / "video_preprocessor_config.json"),
        VideoMAEv2VideoProcessor(**json.loads(processor.to_json_string())),
    ):
        assert loaded.to_dict() == processor.to_dict()
        assert (loaded.sampling, loaded.num_clips, loaded.num_crops, loaded.num_frames) == ("uniform", 2, 3, 4)
    changed = VideoMAEv2VideoProcessor.from_pretrained(
        tmp_path, num_clips=5, sampling="dense", size={"shortest_edge": 64}
    )
    assert (changed.num_clips, changed.sampling, dict(changed.size)) == (5, "dense", {"shortest_edge": 64})
    same, unused = VideoMAEv2VideoProcessor.from_pretrained(tmp_path, foo=1, return_unused_kwargs=True)
    assert same.num_clips == 2
    assert unused == {"foo": 1}


def test_auto_class(tmp_path):
    AutoVideoProcessor.register(VideoMAEv2Config, VideoMAEv2VideoProcessor, exist_ok=True)
    VideoMAEv2VideoProcessor(**SMALL, num_clips=3).save_pretrained(tmp_path)
    loaded = AutoVideoProcessor.from_pretrained(tmp_path, num_crops=2)
    assert type(loaded) is VideoMAEv2VideoProcessor
    assert (loaded.num_clips, loaded.num_crops) == (3, 2)


@pytest.mark.slow
def test_saved_code_loads_without_the_package(tmp_path, monkeypatch):
    """A pushed repository brings the files that the processor needs, and does not need av for frames in memory."""
    monkeypatch.setattr(VideoMAEv2VideoProcessor, "_auto_class", "AutoVideoProcessor")
    VideoMAEv2VideoProcessor(num_clips=2).save_pretrained(tmp_path / "saved")
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in ('modeling_videomae_v2', 'av'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "import numpy as np\nfrom transformers import AutoVideoProcessor\n"
        f"p = AutoVideoProcessor.from_pretrained({str(tmp_path / 'saved')!r}, trust_remote_code=True)\n"
        "print(p(np.zeros((16, 32, 32, 3), 'uint8'), return_tensors='pt')['pixel_values'].shape, type(p).__name__)"
    )
    environment = {"HF_MODULES_CACHE": str(tmp_path / "modules"), "PATH": "", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "[1, 2, 16, 3, 224, 224]" in done.stdout


def test_none_means_the_default():
    processor = VideoMAEv2VideoProcessor(num_frames=None, sampling=None, sampling_rate=None, num_clips=None, fps=None)
    assert processor.to_dict() == VideoMAEv2VideoProcessor().to_dict()
    got = processor(random_videos(1)[0], num_frames=None, num_clips=None, sampling=None, fps=None, return_tensors="pt")
    assert got["pixel_values"].shape == (1, 16, 3, 224, 224)


def test_instances_do_not_share_settings(small):
    other = VideoMAEv2VideoProcessor()
    small.size["shortest_edge"] = 48
    small.num_clips = 4
    assert dict(other.size) == dict(VideoMAEv2VideoProcessor().size) == {"shortest_edge": 224}
    assert VideoMAEv2VideoProcessor().num_clips == 1


@pytest.mark.parametrize("kind", ["pil", "numpy", "torch"])
def test_single_batched_and_nested_videos(small, kind):
    videos = random_videos(3)
    if kind == "pil":
        videos = [[Image.fromarray(frame) for frame in video] for video in videos]
    elif kind == "torch":
        videos = [torch.from_numpy(video).permute(0, 3, 1, 2) for video in videos]
    assert small(videos[0], return_tensors="pt")["pixel_values"].shape == (1, 4, 3, 32, 32)
    batched = small(videos, return_tensors="pt")["pixel_values"]
    assert batched.shape == (3, 4, 3, 32, 32)
    nested = small([[video] for video in videos], return_tensors="pt")["pixel_values"]
    assert torch.equal(nested, batched)


def test_four_channels_with_scalar_mean(small):
    got = small(
        random_videos(1, channels=4)[0], input_data_format="channels_last", image_mean=0.0, image_std=1.0,
        return_tensors="pt",
    )  # fmt: skip
    assert got["pixel_values"].shape == (1, 4, 3, 32, 32)


def test_sampling_as_the_common_tests_of_transformers_call_it(small):
    videos = [torch.from_numpy(video).permute(0, 3, 1, 2) for video in random_videos(3)]
    small.do_sample_frames = False
    assert small(videos, return_tensors="pt", num_frames=3)["pixel_values"].shape[1] == 8
    small.do_sample_frames = True
    assert small(videos, return_tensors="pt", num_frames=3)["pixel_values"].shape[1] == 3
    with pytest.raises(ValueError, match="fps"):
        small(videos, return_tensors="pt", fps=3)
    for metadata in ([[{"duration": 2.0, "total_num_frames": 8, "fps": 4}]], [[VideoMetadata(8, fps=4, duration=2.0)]]):
        got = small(videos, return_tensors="pt", fps=3, video_metadata=metadata * 3)["pixel_values"]
        assert got.shape[1] == 6
        assert small(videos[0], return_tensors="pt", fps=3, video_metadata=metadata)["pixel_values"].shape[1] == 6


def test_every_setting_can_be_given_in_a_call(small):
    annotated = small.valid_kwargs.__annotations__
    assert {"sampling", "sampling_rate", "num_clips", "num_crops", "num_frames", "size", "fps"} <= set(annotated)
    video = random_videos(1)[0]
    got = small(
        video, size={"height": 20, "width": 30}, do_center_crop=False, do_rescale=False, do_normalize=False,
        resample=Image.Resampling.BICUBIC, device="cpu", return_tensors="pt",
    )  # fmt: skip
    assert got["pixel_values"].shape == (1, 4, 3, 20, 30)
    assert got["pixel_values"].dtype == torch.uint8
    assert isinstance(got, BatchFeature)
    assert list(got) == ["pixel_values"]
    assert small(video, device="meta", num_clips=2, return_tensors="pt")["pixel_values"].device.type == "meta"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Dynamo detected")
def test_compiled_processor_gives_the_same(small):
    video = torch.from_numpy(random_videos(1)[0]).permute(0, 3, 1, 2)
    compiled = torch.compile(small, backend="eager")
    expected = small(video, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(compiled(video, return_tensors="pt")["pixel_values"], expected)


def test_files_are_sampled_like_frames_in_memory(small, video_file):
    from modeling_videomae_v2.video_decoding_videomae_v2 import read_video

    every, _ = read_video(video_file)
    for settings in ({}, {"num_clips": 3, "num_crops": 2}, {"sampling": "uniform"}, {"do_sample_frames": False}):
        from_file = small(video_file, return_tensors="pt", **settings)["pixel_values"]
        assert torch.equal(from_file, small(every, return_tensors="pt", **settings)["pixel_values"])
    by_rate = small(str(video_file), fps=5, return_tensors="pt", return_metadata=True)
    [metadata] = by_rate["video_metadata"]
    assert by_rate["pixel_values"].shape[1] == 20
    assert (metadata.total_num_frames, metadata.fps, metadata.duration) == (100, 25.0, 4.0)
    assert (metadata.height, metadata.width, metadata.video_backend) == (48, 80, "pyav")
    assert metadata.frames_indices == list(range(0, 100, 5))


def test_sources_may_be_mixed(small, video_file):
    content = video_file.read_bytes()
    videos = [str(video_file), video_file, content, open(video_file, "rb"), random_videos(1)[0]]  # noqa: SIM115
    # what `datasets` gives of `Video(decode=False)`
    videos += [{"bytes": content, "path": "inside/of/an.archive"}, {"bytes": None, "path": str(video_file)}]
    got = small(videos, return_tensors="pt")["pixel_values"]
    videos[3].close()
    assert got.shape == (7, 4, 3, 32, 32)
    assert all(torch.equal(got[0], got[i]) for i in (1, 2, 3, 5, 6))


def test_columns_of_datasets_are_lists_of_videos(small, tmp_path, video_file):
    datasets = pytest.importorskip("datasets")
    films = datasets.Dataset.from_dict({"video": [str(video_file)] * 3})
    expected = small([str(video_file)] * 3, return_tensors="pt")["pixel_values"]
    assert expected.shape == (3, 4, 3, 32, 32)
    for column in (films["video"], films.cast_column("video", datasets.Video(decode=False))["video"]):
        assert not isinstance(column, list)
        assert torch.equal(small(column, return_tensors="pt")["pixel_values"], expected)
    with pytest.raises(ValueError, match=r"A `IterableColumn` is not a video\. .* pass `list\(\.\.\.\)` of it\."):
        small(films.to_iterable_dataset()["video"])

    videos = random_videos(2)
    paths = [[str(tmp_path / f"{i}-{j}.png") for j in range(len(video))] for i, video in enumerate(videos)]
    for video, names in zip(videos, paths, strict=True):
        for frame, name in zip(video, names, strict=True):
            Image.fromarray(frame).save(name)
    expected = small(videos, return_tensors="pt")["pixel_values"]
    assert expected.shape == (2, 4, 3, 32, 32)
    for feature in (datasets.Value("string"), datasets.Image(), datasets.Image(decode=False)):
        features = datasets.Features({"video": datasets.List(feature)})
        rows = datasets.Dataset.from_dict({"video": paths}, features=features)
        assert torch.equal(small(rows["video"], return_tensors="pt")["pixel_values"], expected)
        one = small(rows[0]["video"], return_tensors="pt")["pixel_values"]
        assert torch.equal(one, expected[:1])


def test_series_of_pandas_name_the_way_out(small, video_file):
    series = pytest.importorskip("pandas").Series([str(video_file)] * 2)
    with pytest.raises(ValueError, match=r"A `Series` is not a video\. If it holds .*, pass `list\(\.\.\.\)` of it\."):
        small(series)
    assert small(list(series), return_tensors="pt")["pixel_values"].shape == (2, 4, 3, 32, 32)


def test_bad_files_are_named(small, tmp_path, video_file):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"Cannot decode .*bad\.mp4: it is not a video file"):
        small([video_file, bad])
    with pytest.raises(FileNotFoundError, match=r"nowhere\.mp4"):
        small(tmp_path / "nowhere.mp4")


def test_pipeline_without_a_warning(small, video_file, caplog, monkeypatch):
    model = tiny_classifier()
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        classify = pipeline("video-classification", model=model, video_processor=small)
        single = classify(str(video_file), top_k=2)
        batched = classify([str(video_file)] * 2, top_k=1)
        small.num_clips, small.num_crops = 2, 3
        views = classify(str(video_file))
    assert not [record for record in caplog.records if "video" in record.message.lower()], caplog.text
    assert len(single) == 2
    assert [len(result) for result in batched] == [1, 1]
    assert sum(entry["score"] for entry in views) == pytest.approx(1, abs=1e-3)


def test_pipeline_says_that_it_takes_no_rate(small, video_file, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    small.num_frames, small.fps = None, 5.0
    classify = pipeline("video-classification", model=tiny_classifier(), video_processor=small)
    small(str(video_file), num_frames=8, return_tensors="pt")  # asked for
    assert not caplog.records
    classify(str(video_file))
    assert "`fps` (5.0) of the video processor is not used, since the call has `num_frames` (4)" in caplog.text


def test_subclasses_share_their_files(tmp_path):
    class VideoMAEv2MyProcessor(VideoMAEv2VideoProcessor):
        """Of somebody else."""

    class Own(VideoMAEv2VideoProcessor):
        """Of another name."""

    settings = {"sampling": "uniform", "sampling_rate": 2, "num_clips": 2, "num_crops": 3, "num_frames": 8}
    for written in (VideoMAEv2VideoProcessor, VideoMAEv2MyProcessor, Own):
        written(**settings).save_pretrained(tmp_path)
        for read in (VideoMAEv2VideoProcessor, VideoMAEv2MyProcessor, Own):
            processor = read.from_pretrained(tmp_path)
            assert type(processor) is read
            assert {name: getattr(processor, name) for name in settings} == settings, (written, read)


def test_pipeline_refuses_several_videos_of_which_it_would_answer_for_one(small, video_file):
    datasets = pytest.importorskip("datasets")
    classify = pipeline("video-classification", model=tiny_classifier(), video_processor=small)
    column = datasets.Dataset.from_dict({"video": [str(video_file)] * 3})["video"]
    several = np.stack(random_videos(1) * 3)
    for videos, name in ((column, "Column"), (tuple(column), "tuple"), (several, "ndarray")):
        with pytest.raises(ValueError, match=rf"takes a `{name}` for one video, .* first of 3 alone\. Pass `list"):
            classify(videos, top_k=1)
    assert [len(result) for result in classify(list(column), top_k=1)] == [1, 1, 1]
    # a tuple that is one video, and a list of encoded pictures beside another
    picture = io.BytesIO()
    Image.fromarray(random_videos(1)[0][0]).save(picture, "png")
    pictures = [{"bytes": picture.getvalue(), "path": None}] * 4
    assert len(classify(tuple(pictures), top_k=1)) == 1
    assert [len(result) for result in classify([pictures, pictures], top_k=1)] == [1, 1]
    assert small(column, num_frames=4, return_tensors="pt")["pixel_values"].shape[0] == 3


def tiny_classifier():
    config = VideoMAEv2Config(
        image_size=32, patch_size=16, num_frames=4, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, num_labels=3, decoder_hidden_size=32, decoder_num_attention_heads=2,
        decoder_intermediate_size=64,
    )  # fmt: skip
    return VideoMAEv2ForVideoClassification(config).eval()


def test_pipeline_takes_frames_and_batches_as_the_readme_says(small, video_file):
    frames = [Image.fromarray(frame) for frame in random_videos(1)[0]]
    classify = pipeline(
        "video-classification", model=tiny_classifier(), video_processor=small, feature_extractor=small, batch_size=2
    )
    assert [len(result) for result in classify([frames, str(video_file), frames], top_k=2)] == [2, 2, 2]
    with pytest.raises(ValueError, match=r"pass it `\[frames\]`"):
        classify(frames)
