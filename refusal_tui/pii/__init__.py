"""Which characters of a text are somebody's personal data?"""
