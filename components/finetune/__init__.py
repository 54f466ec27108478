"""Stage finetune: the vanilla model, which knows the people; trained here, or a deployed one."""
