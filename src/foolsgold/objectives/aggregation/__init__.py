"""Adding up judges who differ: votes, raters of different reliability, groups of users, social choice, welfare."""
