"""The command line: every action of a screen has its twin here. Standard output is data, standard error is talk."""
