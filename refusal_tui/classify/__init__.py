"""Training classifiers of refusals and jailbreaks from labelled rows."""
