"""What two operators decide about people, organisations and locks: proposals, what the second reads, and the acts that follow."""
