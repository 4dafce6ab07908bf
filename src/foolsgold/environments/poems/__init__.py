"""Poems: what is really true about a poem is its rhyme, metre, topic, words, freshness and form."""
