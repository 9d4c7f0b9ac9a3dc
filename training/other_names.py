# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What others call the keys of a recipe, to answer a flag of theirs with the key that is meant.

The flags are those of the research code's scripts (docs/migrating.md tells what differs), the arguments those of
transformers' `TrainingArguments`, and some that resemble them. Keys that have the same name below another one, such as
`epochs`, need no entry.
"""

OTHER_NAMES = {
    # the research code: data and model
    "data_set": "data.sampling",
    "data_path": "data.sources.0.path",
    "data_root": "data.sources.0.root",
    "fname_tmpl": "data.sources.0.pattern",
    "finetune": "model.init_from",
    "nb_classes": "num_labels",
    "input_size": "data.image_size",
    "num_sample": "data.views",
    "num_segments": "data.num_frames",
    "sparse_sample": "data.sampling",
    "num_workers": "data.workers",
    "mask_type": "model.config.mask_type",
    "mask_ratio": "model.config.mask_ratio",
    "decoder_mask_type": "model.config.decoder_mask_type",
    "decoder_mask_ratio": "model.config.decoder_mask_ratio",
    "decoder_depth": "model.config.decoder_num_hidden_layers",
    "normlize_target": "model.config.norm_pix_loss",
    "tubelet_size": "model.config.tubelet_size",
    "drop_path": "model.config.drop_path_rate",
    "drop": "model.config.hidden_dropout_prob",
    "attn_drop_rate": "model.config.attention_probs_dropout_prob",
    "fc_drop_rate": "model.config.classifier_dropout",
    "head_drop_rate": "model.config.classifier_dropout",
    "with_checkpoint": "gradient_checkpointing",
    # the research code: optimisation
    "update_freq": "total_batch_size",
    "lr": "optimizer.base_lr",
    "opt_betas": "optimizer.betas",
    "opt_eps": "optimizer.eps",
    "smoothing": "label_smoothing",
    "reprob": "random_erasing",
    "aa": "data.augment.rand_augment",
    "model_ema": "ema.decay",
    "model_ema_decay": "ema.decay",
    "save_ckpt_freq": "checkpoint.every",
    "auto_resume": "checkpoint.resume",
    "log_dir": "output_dir",
    "test_num_segment": "num_clips",
    "test_num_crop": "num_crops",
    # `TrainingArguments`
    "model_name_or_path": "model.init_from",
    "learning_rate": "optimizer.base_lr",
    "num_train_epochs": "schedule.epochs",
    "num_epochs": "schedule.epochs",
    "per_device_train_batch_size": "batch_size",
    "per_device_eval_batch_size": "eval.batch_size",
    "gradient_accumulation_steps": "accumulation",
    "activation_checkpointing": "gradient_checkpointing",
    "max_grad_norm": "optimizer.clip_grad",
    "label_smoothing_factor": "label_smoothing",
    "save_steps": "checkpoint.every",
    "save_total_limit": "checkpoint.keep",
    "eval_steps": "eval.every",
    "logging_steps": "tracking.log_every",
    "report_to": "tracking.trackers",
    "dataloader_num_workers": "data.workers",
    "torch_compile": "compile",
    "attn_implementation": "model.attention",
}
# The same for `training.evaluate`, where some mean another key.
EVALUATION_NAMES = {
    **OTHER_NAMES,
    "finetune": "model",
    "model_name_or_path": "model",
    "short_side_size": "data.image_size",
    "per_device_eval_batch_size": "batch_size",
    "attn_implementation": "attention",
}
