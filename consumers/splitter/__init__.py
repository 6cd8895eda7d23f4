"""Frame splitting: a video in, task videos, frames, thumbnails and a manifest out. `handler` is the door."""
