"""What all tests share; its place puts this folder on the path, so that ``import builders`` works."""
