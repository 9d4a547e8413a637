"""Denoising from two noisy images of one scene, a pair: arrays and a seed in, images and figures out.

Yang and others, Low-dose imaging denoising with one pair of noisy images, Opt. Express 31, 14159 (2023).
"""
