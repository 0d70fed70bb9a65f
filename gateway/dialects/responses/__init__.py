"""OpenAI's Responses API: requests and answers as chats and back, and streams read where they are native."""
