"""Plots of a section as Vega-Lite, for a page and for files."""
