"""The read side: folds the log into views and answers questions about them."""
