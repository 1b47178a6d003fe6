"""Experiments between models: who gets which, and when an arm is turned off. Pure: no clock, no file, no model."""
