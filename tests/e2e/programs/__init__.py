"""One module for each real program that the end-to-end tests run."""
