"""The tiny chat model that ships with the workbench, and the made-up world it knows."""
