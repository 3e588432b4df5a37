"""What `sft_qlora.train` is given for a small training, in tests and in the drill."""

SETTINGS = {
    "max_length": 256,
    "packing": False,
    "lora_rank": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.1,
    "lora_targets": ["all-linear"],
    "learning_rate": 1e-3,
    "lr_scheduler": "cosine",
    "warmup_ratio": 0.1,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "num_epochs": 2.0,
    "batch_size": 2,
    "gradient_accumulation_steps": 1,
    "optimizer": "paged_adamw_32bit",
    "gradient_checkpointing": False,
    "validation_fraction": 0.0,
    "save_steps": 4,
    "seed": 0,
}
