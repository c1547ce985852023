import { createRoot } from 'react-dom/client';
import { chatOptions } from './chat-options.ts';
import { ReactChat } from './react-chat.tsx';
import { SdkChat } from './sdk-chat.tsx';

const query = new URLSearchParams(location.search);
const Chat = query.get('client') === 'react' ? ReactChat : SdkChat;
const root = document.createElement('div');
document.body.append(root);
createRoot(root).render(<Chat {...chatOptions(query)} />);
