"""Modules that somebody else wrote, timm's above all, used as networks or as layers of ours."""
