"""Chinese licences that are invented and drawn, to train and test readers of documents."""
